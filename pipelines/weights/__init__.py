"""From a row to files on disk: found here or downloaded, and verified. Knows no network. The door is `fetch`."""
