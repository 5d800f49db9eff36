"""Networks: a frozen configuration builds each."""
