"""The built-in networks: `catalogue` and `source` need no torch; every other module here is one kind of network.

Every network is a `Net`: a body and a head. It is called with its parents' values, float tensors (*leading, *event)
whose leading axes broadcast, and returns (*leading, *output). `net(batch=(n,))` gives the leading shape where there
are no parents (a learned constant). The head is sized by the target; a declared net is one body, with a head for each
target. How a program writes all this stands in `source`.
"""
