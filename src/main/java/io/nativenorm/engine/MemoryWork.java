package io.nativenorm.engine;

import io.nativenorm.engine.memory.Memory;

/**
 * What is done to memory beside problems. Whoever does it, the bits are the same, but for those of
 * a NaN in F16 on SSE4.
 */
public interface MemoryWork {
  /**
   * Copies all elements, each rounded once to the nearest, ties to even; a NaN stays one, and
   * becomes quiet. Of one type all bits stay.
   *
   * @param from where they are
   * @param to as many, which do not overlap
   * @param threads how many threads may work on it
   * @throws IllegalArgumentException if a long cannot be what an element is; some were copied then
   */
  void convert(Memory from, Memory to, int threads);

  /**
   * Copies an array in.
   *
   * @param from all of it
   * @param to memory of our own, for as many floats or more
   * @param threads how many threads may work on it
   */
  void copyIn(float[] from, Memory to, int threads);

  /**
   * Copies floats out to an array.
   *
   * @param from memory of our own, with as many floats or more
   * @param to where they go, all of it
   * @param threads how many threads may work on it
   */
  void copyOut(Memory from, float[] to, int threads);

  /**
   * Copies matrices the other way round, bit by bit: {@code to[n][column][row] =
   * from[n][row][column]}. Channels first become channels last with channels as rows, and first
   * again with channels as columns.
   *
   * @param from as many elements as the extents say
   * @param to as many of the same type, which do not overlap
   * @param samples how many matrices
   * @param rows of each, as they are
   * @param columns likewise
   * @param threads how many threads may work on it
   */
  void transpose(Memory from, Memory to, long samples, long rows, long columns, int threads);

  /**
   * Takes the statistics of a batch into running ones: {@code running = (1 - share) * running +
   * share * correction * (average of the samples)}, in doubles, rounded once.
   *
   * @param running a float for each channel
   * @param batch as many for each sample
   * @param share how much of the new value is the batch's
   * @param correction what the batch's are multiplied by
   */
  void updateRunning(Memory running, Memory batch, double share, double correction);
}
