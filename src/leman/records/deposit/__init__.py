"""Records taken to an archive on the network: a draft first, made public when its author says."""
