"""The file for a forecast hub: ``flusight`` has its rules, ``forecast`` one location's rows, ``file`` the whole."""
