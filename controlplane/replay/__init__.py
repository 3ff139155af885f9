"""Offline policy replay: logs from files and from the journal, and what another policy would be worth on them."""
