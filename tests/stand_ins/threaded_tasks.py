"""A module that starts a thread when it is imported, as no module that is forked may."""

import threading

threading.Thread(target=threading.Event().wait, name="left-over", daemon=True).start()
