package io.nativenorm.engine;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What is to be computed, without data: the key by which plans are chosen, prepared and cached. All
 * that tells two plans apart is in here.
 *
 * @param norm what is normalized by what
 * @param shape extents and layout
 * @param storage the types in memory
 * @param affine whether there are weight and bias
 * @param fusion what is done in the same pass
 * @param task inference, training or backward
 * @param threads how many threads may work on it
 * @param threadsOf the library whose threads; null for the engine's own
 */
public record Problem(
    Norm norm,
    Shape shape,
    Storage storage,
    Affine affine,
    Fusion fusion,
    Task task,
    int threads,
    @Nullable String threadsOf) {

  /**
   * On the engine's own threads.
   *
   * @param norm what is normalized by what
   * @param shape extents and layout
   * @param storage the types in memory
   * @param affine whether there are weight and bias
   * @param fusion what is done in the same pass
   * @param task inference, training or backward
   * @param threads how many threads may work on it
   */
  public Problem(
      Norm norm,
      Shape shape,
      Storage storage,
      Affine affine,
      Fusion fusion,
      Task task,
      int threads) {
    this(norm, shape, storage, affine, fusion, task, threads, null);
  }

  /**
   * How many means and variances there are.
   *
   * @return the number of units
   */
  public long unitCount() {
    return switch (norm.operation()) {
      case BATCH -> shape.channels();
      case LAYER, RMS -> shape.batch();
      case GROUP -> shape.batch() * shape.groups();
    };
  }

  /**
   * The same problem by another norm.
   *
   * @param other what is normalized by what
   * @return a problem that differs in nothing else
   */
  public Problem withNorm(Norm other) {
    return new Problem(other, shape, storage, affine, fusion, task, threads, threadsOf);
  }

  /**
   * The same problem of another shape.
   *
   * @param other extents and layout
   * @return a problem that differs in nothing else
   */
  public Problem withShape(Shape other) {
    return new Problem(norm, other, storage, affine, fusion, task, threads, threadsOf);
  }

  /**
   * The same problem with other parameters.
   *
   * @param other whether there are weight and bias
   * @return a problem that differs in nothing else
   */
  public Problem withAffine(Affine other) {
    return new Problem(norm, shape, storage, other, fusion, task, threads, threadsOf);
  }

  /**
   * Another task on the same shape.
   *
   * @param other the task
   * @return a problem that differs in nothing else
   */
  public Problem withTask(Task other) {
    return new Problem(norm, shape, storage, affine, fusion, other, threads, threadsOf);
  }

  /** One line for messages: operation, task, types, layout and extents. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    text.append(norm.operation().name().toLowerCase(Locale.ROOT)).append(' ');
    text.append(task.name().toLowerCase(Locale.ROOT)).append(' ');
    text.append(storage).append(' ').append(shape);
    if (norm.operation() == Operation.GROUP) {
      text.append(", ").append(shape.groups()).append(" groups");
    }
    return text.append(norm.statistics() == StatisticsSource.GIVEN ? ", given statistics" : "")
        .append(norm.masked() ? ", masked" : "")
        .toString();
  }
}
