package io.nativenorm.engine.reference;

import io.nativenorm.engine.Units;

/**
 * Where the elements of a unit lie: (i, j) at start + i * outerStride + j * innerStride, with the
 * weight and bias of channel + i * outerChannels + j * innerChannels.
 */
record Unit(
    long start,
    long outer,
    long inner,
    long outerStride,
    long innerStride,
    long channel,
    int outerChannels,
    int innerChannels) {

  static Unit of(Units units, long unit) {
    return new Unit(
        units.offset(unit),
        units.outer(),
        units.inner(),
        units.outerStride(),
        units.innerStride(),
        units.channel(unit),
        units.outerChannels(),
        units.innerChannels());
  }

  double values() {
    return (double) outer * (double) inner;
  }
}
