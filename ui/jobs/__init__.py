"""Long work behind the page's buttons: run, cancelled, given a GPU, its files kept."""
