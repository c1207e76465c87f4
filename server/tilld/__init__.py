"""Till: a cash register for Core Lightning."""
