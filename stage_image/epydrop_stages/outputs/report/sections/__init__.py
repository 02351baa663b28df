"""The parts of the page, one module each: what it says, or None when there is nothing to say."""
