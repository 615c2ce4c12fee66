/**
 * Normalization layers at native speed: {@link io.nativenorm.BatchNorm}, {@link
 * io.nativenorm.LayerNorm}, {@link io.nativenorm.RmsNorm}, {@link io.nativenorm.GroupNorm} and
 * {@link io.nativenorm.InstanceNorm}, forward and backward, on heap arrays, direct buffers and
 * memory outside the heap.
 *
 * <p>No argument may be null unless it is {@link org.jspecify.annotations.Nullable}: every method
 * throws {@link java.lang.NullPointerException} with the argument's name, before it does anything.
 * Shapes and maps that are passed in are read once, before they are checked, and stay the caller's,
 * who may change them at any time.
 */
@NullMarked
package io.nativenorm;

import org.jspecify.annotations.NullMarked;
