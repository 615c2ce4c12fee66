package io.nativenorm.examples;

import io.nativenorm.Activation;
import io.nativenorm.BatchNorm;
import io.nativenorm.StatisticsExchange;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Threads that train one network together: each has a copy of it and a share of every batch, and
 * its batch normalizations take the statistics of all shares. They agree on the gradients by the
 * same exchange, so the copies stay the same.
 */
final class Workers implements AutoCloseable {
  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  private final List<StatisticsExchange> ends;
  private final List<Network> networks = new ArrayList<>();
  private final ExecutorService threads;

  Workers(int count, long seed) {
    ends = StatisticsExchange.threads(count, TIMEOUT);
    threads = Executors.newFixedThreadPool(count);
    for (StatisticsExchange end : ends) {
      networks.add(
          new Network(
              seed,
              channels ->
                  BatchNorm.builder(channels)
                      .exchange(end)
                      .activation(Activation.RELU)
                      .threads(1)
                      .build()));
    }
  }

  List<Network> networks() {
    return networks;
  }

  /** A step of all workers on a batch; returns the sum of its losses. */
  double step(Signals batch, float rate) {
    List<Future<Double>> shares = new ArrayList<>();
    for (StatisticsExchange end : ends) {
      shares.add(threads.submit(() -> step(end, batch, rate)));
    }
    double loss = 0;
    for (Future<Double> share : shares) {
      try {
        loss += share.get();
      } catch (ExecutionException e) {
        throw new IllegalStateException("a worker failed", e.getCause());
      } catch (InterruptedException e) {
        throw new IllegalStateException("interrupted", e);
      }
    }
    return loss;
  }

  private double step(StatisticsExchange end, Signals batch, float rate) {
    Network network = networks.get(end.rank());
    int share = batch.count() / end.size();
    double loss = network.learn(batch.part(end.rank() * share, share), batch.count());
    List<Parameter> parameters = network.parameters();
    double[][] all = end.allGather("gradients", gradients(parameters));
    int at = 0;
    for (Parameter parameter : parameters) {
      for (int i = 0; i < parameter.gradient.length; i++, at++) {
        double sum = 0;
        for (double[] worker : all) {
          sum += worker[at];
        }
        parameter.gradient[i] = (float) sum;
      }
    }
    network.step(rate);
    return loss;
  }

  private static double[] gradients(List<Parameter> parameters) {
    double[] all = new double[parameters.stream().mapToInt(p -> p.gradient.length).sum()];
    int at = 0;
    for (Parameter parameter : parameters) {
      for (float value : parameter.gradient) {
        all[at++] = value;
      }
    }
    return all;
  }

  @Override
  public void close() {
    threads.shutdownNow();
    networks.forEach(Network::close);
    ends.forEach(StatisticsExchange::close);
  }
}
