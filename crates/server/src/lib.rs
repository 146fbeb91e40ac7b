//! The control plane: use cases on the ledger, gRPC services, background ticks.
