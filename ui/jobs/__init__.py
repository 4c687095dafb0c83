"""Long work behind the page's buttons: run, cancelled, lent a GPU, its files kept."""
