package io.nativenorm.engine;

import io.nativenorm.Activation;
import io.nativenorm.DataType;
import io.nativenorm.Layout;
import java.util.Locale;

/**
 * What is to be computed, without the data: the key by which plans are chosen, prepared and cached.
 *
 * <p>Every shape is reduced to three extents. For {@link Operation#BATCH} and {@link
 * Operation#GROUP} they are N, C and the product of the spatial dimensions; a layer's or RMS's rows
 * are the batch and a row's elements its channels. Without spatial extent both layouts are the same
 * memory, and the problem is {@link Layout#CHANNELS_LAST}.
 *
 * @param operation what a unit is
 * @param direction inference, training or backward
 * @param statistics whether mean and variance are computed or given
 * @param dataType type of input and output
 * @param layout physical order of input and output
 * @param batch N, or the number of rows
 * @param channels C, or the elements of a row
 * @param spatial product of the spatial dimensions, 1 where there are none
 * @param groups groups of the channels; 1 except for GROUP
 * @param eps added to the variance inside the root
 * @param weight whether there is a weight (and backward gives its gradient)
 * @param bias whether there is a bias (and backward gives its gradient)
 * @param activation applied to the result
 * @param threads how many threads may work on it
 */
public record Problem(
    Operation operation,
    Direction direction,
    Statistics statistics,
    DataType dataType,
    Layout layout,
    long batch,
    long channels,
    long spatial,
    long groups,
    double eps,
    boolean weight,
    boolean bias,
    Activation activation,
    int threads) {

  /** Names the one layout of a problem without spatial extent. */
  public Problem {
    if (spatial == 1) {
      layout = Layout.CHANNELS_LAST;
    }
  }

  /**
   * All elements of the input.
   *
   * @return batch x channels x spatial
   */
  public long elements() {
    return batch * channels * spatial;
  }

  /**
   * How many means and variances there are.
   *
   * @return the number of units
   */
  public long unitCount() {
    return switch (operation) {
      case BATCH -> channels;
      case LAYER, RMS -> batch;
      case GROUP -> batch * groups;
    };
  }

  /**
   * The same problem in another direction.
   *
   * @param other the direction
   * @return a problem that differs in nothing else
   */
  public Problem with(Direction other) {
    return with(other, statistics);
  }

  /**
   * The same problem in another direction, with statistics from elsewhere.
   *
   * @param other the direction
   * @param source where mean and variance come from
   * @return a problem that differs in nothing else
   */
  public Problem with(Direction other, Statistics source) {
    return new Problem(
        operation,
        other,
        source,
        dataType,
        layout,
        batch,
        channels,
        spatial,
        groups,
        eps,
        weight,
        bias,
        activation,
        threads);
  }

  /**
   * The same problem over other samples or rows.
   *
   * @param otherBatch how many
   * @param otherSpatial the positions of each
   * @return a problem that differs in nothing else
   */
  public Problem withSamples(long otherBatch, long otherSpatial) {
    return new Problem(
        operation,
        direction,
        statistics,
        dataType,
        layout,
        otherBatch,
        channels,
        otherSpatial,
        groups,
        eps,
        weight,
        bias,
        activation,
        threads);
  }

  /** One line for messages: operation, direction, type, layout and extents. */
  @Override
  public String toString() {
    StringBuilder text = new StringBuilder();
    text.append(operation.name().toLowerCase(Locale.ROOT)).append(' ');
    text.append(direction.name().toLowerCase(Locale.ROOT)).append(' ').append(dataType);
    if (spatial == 1) {
      text.append(' ').append(batch).append('x').append(channels);
    } else {
      text.append(' ').append(layout).append(' ');
      text.append(batch).append('x').append(channels).append('x').append(spatial);
    }
    if (operation == Operation.GROUP) {
      text.append(", ").append(groups).append(" groups");
    }
    return text.append(statistics == Statistics.GIVEN ? ", given statistics" : "").toString();
  }
}
