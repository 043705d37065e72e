"""Random networks against their own runtimes; `docs/random-networks.md` says how and why."""
