package io.nativenorm.engine.reference;

/** Whether float sums can be trusted, or what is to be summed up instead. */
enum Trust {
  GOOD,
  OTHER_PIVOT,
  DOUBLES
}
