"""What the pages in docs/ show of the code: printed here, compared with the pages by tests."""
