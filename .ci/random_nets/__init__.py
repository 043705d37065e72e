"""Random networks against their own runtimes; `docs/internals/random-networks.md` says how and why."""
