package io.nativenorm.engine.reference;

/** Whether float sums are good. */
enum Trust {
  GOOD,
  OTHER_PIVOT,
  DOUBLES
}
