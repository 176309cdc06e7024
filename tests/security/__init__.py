"""One test for each attack of doc/security.md: real processes, a real daemon, no mocks."""
