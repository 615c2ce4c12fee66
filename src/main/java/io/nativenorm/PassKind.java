package io.nativenorm;

/** Whose statistics a pass uses, and whether they go into the running ones. */
enum PassKind {
  /** The input's own, which do; on a layer that is frozen the running ones. */
  TRAINING,
  /** The input's own, which do not. */
  WITHOUT_UPDATE,
  /** The running ones. */
  FROZEN
}
