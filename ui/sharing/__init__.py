"""Pages that visitors share: a result with its viewer at an address that nobody can guess."""
