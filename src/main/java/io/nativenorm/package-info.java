/**
 * Normalization layers at native speed: {@link io.nativenorm.BatchNorm}, {@link
 * io.nativenorm.LayerNorm}, {@link io.nativenorm.RmsNorm}, {@link io.nativenorm.GroupNorm} and
 * {@link io.nativenorm.InstanceNorm}, forward and backward, on heap arrays, direct buffers and
 * memory outside the heap.
 */
package io.nativenorm;
