"""A target's history as one page of HTML: what is live where, its pushes, where their time went, what failed."""
