"""Components and HTML that several tabs share."""
