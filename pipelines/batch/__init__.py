"""Many images: which they are, what each becomes, and what was done already."""
