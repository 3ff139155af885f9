"""Questions whose answers by a cheap and by a premium model are known, routed through the chat endpoint."""
