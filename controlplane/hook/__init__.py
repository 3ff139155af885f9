"""A coding agent's hook: one short process per event, a client of the server like any other.

The agent starts it before and after every tool call, hands it the event as JSON and waits. So everything on
an event's way is standard library, and little of it: what is imported is paid for at every call. Whatever
goes wrong, the agent goes on as if nobody had been asked. Only `registration` is not on that way.
"""
