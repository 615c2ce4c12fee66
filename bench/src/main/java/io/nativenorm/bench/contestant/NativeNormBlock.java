package io.nativenorm.bench.contestant;

import io.nativenorm.Activation;
import io.nativenorm.BatchNorm;
import io.nativenorm.Pass;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Results;
import io.nativenorm.bench.Workload;

/** The normalization of a ResNet block's training step on heap arrays, by NativeNorm. */
public final class NativeNormBlock implements Contestant.Session {
  private final BatchNorm norm1;
  private final BatchNorm norm2;
  private final BlockArrays first;
  private final BlockArrays second;
  private final Pass pass1;
  private final Pass pass2;

  public NativeNormBlock(Workload firstLayer, Workload secondLayer) {
    norm1 = layer(firstLayer, Activation.RELU);
    norm2 = layer(secondLayer, Activation.NONE);
    first = new BlockArrays(firstLayer);
    second = new BlockArrays(secondLayer);
    pass1 = norm1.forwardTraining(first.x, first.y, firstLayer.cell().extents());
    pass2 = norm2.forwardTraining(second.x, second.y, secondLayer.cell().extents());
  }

  private static BatchNorm layer(Workload workload, Activation activation) {
    BatchNorm layer =
        BatchNorm.builder(workload.cell().channels())
            .eps(Workload.EPS)
            .activation(activation)
            .threads(workload.threads())
            .build();
    layer.weight().copyFrom(workload.weight());
    layer.bias().copyFrom(workload.bias());
    return layer;
  }

  @Override
  public void call() {
    pass1.forward(first.x, first.y);
    pass2.forward(second.x, second.y);
    pass2.backward(second.dy, second.dx, second.dWeight, second.dBias);
    pass1.backward(first.dy, first.dx, first.dWeight, first.dBias);
  }

  @Override
  public Results results() {
    return BlockArrays.results(first, second);
  }

  @Override
  public void close() {
    pass2.close();
    pass1.close();
    norm2.close();
    norm1.close();
  }
}
