package io.nativenorm.bench.contestant;

import io.nativenorm.BatchNorm;
import io.nativenorm.DataType;
import io.nativenorm.Gradients;
import io.nativenorm.LayerNorm;
import io.nativenorm.NormLayer;
import io.nativenorm.Pass;
import io.nativenorm.Tensor;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Results;
import io.nativenorm.bench.Workload;

/** A training step over a stack of like layers on NativeNorm: forward through all, and back. */
public final class NativeNormStack implements Contestant.Session {
  private final NormLayer[] layers;
  private final Pass[] passes;
  private final Tensor x;
  private final Tensor dy;

  /** Of the last step: output, gradient of the input, and those of the last layer's parameters. */
  private final Tensor[] results = new Tensor[4];

  public NativeNormStack(Workload workload, int depth) {
    layers = new NormLayer[depth];
    passes = new Pass[depth];
    for (int i = 0; i < depth; i++) {
      layers[i] = layer(workload);
      layers[i].weight().copyFrom(workload.weight());
      layers[i].bias().copyFrom(workload.bias());
    }
    x = tensor(workload, workload.x());
    dy = tensor(workload, workload.dy());
  }

  private static NormLayer layer(Workload workload) {
    int channels = workload.cell().channels();
    return workload.cell().operation() == Operation.BATCH
        ? BatchNorm.builder(channels).eps(Workload.EPS).threads(workload.threads()).build()
        : LayerNorm.builder(channels).eps(Workload.EPS).threads(workload.threads()).build();
  }

  private static Tensor tensor(Workload workload, float[] values) {
    Tensor tensor =
        Tensor.allocate(DataType.F32, workload.cell().layout(), workload.cell().extents());
    tensor.copyFrom(values);
    return tensor;
  }

  @Override
  public void call() {
    free();
    Tensor y = x;
    for (int i = 0; i < layers.length; i++) {
      passes[i] = layers[i].forwardTraining(y);
      y = passes[i].output();
    }
    results[0] = handle(y);
    Gradients last = null;
    for (int i = layers.length - 1; i >= 0; i--) {
      Gradients next = passes[i].backward(last == null ? dy : last.input());
      if (last == null) {
        results[2] = handle(next.weight());
        results[3] = handle(next.bias());
      } else {
        last.close();
      }
      last = next;
      passes[i].close();
    }
    results[1] = handle(last.input());
    last.close();
  }

  /** The same memory, when what gave the tensor is closed. */
  private static Tensor handle(Tensor tensor) {
    return tensor.reshape(tensor.shape());
  }

  @Override
  public Results results() {
    return Results.step(
        results[0].toArray(), results[1].toArray(), results[2].toArray(), results[3].toArray());
  }

  private void free() {
    for (int i = 0; i < results.length && results[i] != null; i++) {
      results[i].close();
    }
  }

  @Override
  public void close() {
    free();
    dy.close();
    x.close();
    for (NormLayer layer : layers) {
      layer.close();
    }
  }
}
