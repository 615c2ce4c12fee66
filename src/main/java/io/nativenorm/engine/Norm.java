package io.nativenorm.engine;

/**
 * What is normalized by what.
 *
 * @param operation what a unit is
 * @param statistics where mean and variance come from
 * @param eps added to the variance inside the root
 */
public record Norm(Operation operation, StatisticsSource statistics, double eps) {}
