package io.nativenorm.engine;

/**
 * What is normalized by what.
 *
 * @param operation what a unit is
 * @param statistics where mean and variance come from
 * @param eps added to the variance inside the root
 * @param masked whether the statistics are of the positions that a mask counts
 */
public record Norm(Operation operation, StatisticsSource statistics, double eps, boolean masked) {
  /**
   * With statistics of all positions.
   *
   * @param operation what a unit is
   * @param statistics where mean and variance come from
   * @param eps added to the variance inside the root
   */
  public Norm(Operation operation, StatisticsSource statistics, double eps) {
    this(operation, statistics, eps, false);
  }

  /**
   * The same with statistics of some positions.
   *
   * @return a norm that differs in nothing else
   */
  public Norm ofMasked() {
    return new Norm(operation, statistics, eps, true);
  }
}
