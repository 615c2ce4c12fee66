package io.nativenorm.engine.reference;

import io.nativenorm.engine.Groups;

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

  static Unit of(Groups groups, long unit) {
    return new Unit(
        groups.offset(unit),
        groups.outer(),
        groups.inner(),
        groups.outerStride(),
        groups.innerStride(),
        groups.channel(unit),
        groups.outerChannels(),
        groups.innerChannels());
  }

  double values() {
    return (double) outer * (double) inner;
  }
}
