"""The ground floor: what an experiment is, what a run says, where a run keeps things. No torch, no terminal, no network."""
