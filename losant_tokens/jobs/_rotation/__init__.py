"""Rotation: replace tokens with successors, and leave no gap for their users.

The problem: the secret of a token is returned once, by the request that creates it, and the scopes
and the expiration date of a token cannot be changed. So to rotate a token is to create another one,
to hand its secret to the users of the old one, and to deactivate the old one later. Each of these
steps can fail, and the process can be killed between any two of them.

The invariant: at every time the users have a secret that works, and no token exists that the
journal, or a search by its marker, does not find.

The approach: the journal records each step before its effect, and again after it, with fsync. It
never holds a secret. The stages of one token:

    planned ──> creating ──> created ──> delivering ──> delivered ──> retired
       │            │            │            │              ├──────> left
       │            └───────┬────┴────────────┘              └──────> cancelled
       └──> failed <── removing

- **creating**: a request to create the successor may have been sent. Its description ends in a
  marker, `[rotation 3f9c0b5a7e21d846 of 575ec7417ae143cd83dc4a95]`, that no other token has.
- **created**: the id of the successor is recorded. Its secret is only in memory.
- **delivering**: the secret was passed to the sink, which may have stored it.
- **delivered**: the sink has it. The marker is removed from the description. The overlap begins.
- **removing**: nobody has the secret, so the successor is deleted.
- **failed**: there is no successor, and the old token is unchanged. A resumed rotation starts over.
- **retired**: the old token is deactivated, as a quarantine that `restore` and `sweep` know.
- **left**: somebody has changed the old token, so it is left alone. The successor is in use.
- **cancelled**: the rotation was given up. The old token is unchanged.

What a resumed rotation finds after a crash:

- *creating*: the request may have arrived, and its response is lost. The successor is found by its
  marker and deleted, and another one is created. The request may even arrive after that search, so
  the list is searched again before the old token is deactivated.
- *created*: the secret is lost. The successor is deleted, and another one is created.
- *delivering*: the sink may have stored the secret, and users may already use it. So the successor
  is kept until another one is delivered, and is deactivated together with the old token.
- *delivered* and later: nothing is lost. The deactivation is a job of its own, with a journal.

The successor is verified before it is delivered: an authenticated request with its secret. If the
secret were delivered first, and did not work, the users would have read a dead secret from their
store. After the overlap, and before the old token is deactivated, the successor is read again: it
must be active and must not have expired. If it is not, the old token stays active.

If the sink reports a failure, the successor is deleted. If the sink does not know whether it
succeeded, as after a timeout, the successor is kept as if the process had been killed.

Rejected: storing the secret so that a killed process can use it, because a secret in a
file is what a rotation must not leave behind; to deactivate the old token of a failed delivery,
because its users still use it; to delete a successor whose delivery is in doubt, because the store
of the users may hold its secret.

`successor` and `retirement` wait for the network. `rotation`, `checks` and `marker` decide.
"""
