"""Invoice requests by which others are paid (BOLT 12): offered, paid by the node, ended."""
