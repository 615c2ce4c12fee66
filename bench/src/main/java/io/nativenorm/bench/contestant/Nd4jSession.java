package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Direction;
import io.nativenorm.bench.Operation;
import io.nativenorm.bench.Results;
import io.nativenorm.bench.Workload;
import java.util.ArrayList;
import java.util.List;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.DynamicCustomOp;
import org.nd4j.linalg.factory.Nd4j;

/** One of libnd4j's operators with its arrays. */
final class Nd4jSession implements Contestant.Session {
  private final Cell cell;
  private final INDArray output;
  private final INDArray weightGradient;
  private final INDArray biasGradient;
  private final DynamicCustomOp operator;

  Nd4jSession(Workload workload) {
    cell = workload.cell();
    boolean batch = cell.operation() == Operation.BATCH;
    boolean backward = cell.direction() == Direction.BACKWARD;
    INDArray x = Nd4j.create(workload.x(), extents());
    INDArray weight = Nd4j.createFromArray(workload.weight());
    INDArray bias = Nd4j.createFromArray(workload.bias());
    output = Nd4j.create(new float[cell.size()], extents());
    weightGradient = Nd4j.createFromArray(new float[cell.channels()]);
    biasGradient = Nd4j.createFromArray(new float[cell.channels()]);
    List<INDArray> inputs = new ArrayList<>(List.of(x));
    List<INDArray> outputs = new ArrayList<>(List.of(output));
    if (batch) {
      inputs.addAll(statistics(workload, x));
    }
    inputs.addAll(List.of(weight, bias));
    if (backward) {
      inputs.add(Nd4j.create(workload.dy(), extents()));
      if (batch) { // gradients of the statistics, which are not asked for
        outputs.addAll(List.of(weightGradient.dup(), weightGradient.dup()));
      }
      outputs.addAll(List.of(weightGradient, biasGradient));
    }
    DynamicCustomOp.DynamicCustomOpsBuilder builder =
        DynamicCustomOp.builder((batch ? "batchnorm" : "layer_norm") + (backward ? "_bp" : ""))
            .addInputs(inputs.toArray(new INDArray[0]))
            .addOutputs(outputs.toArray(new INDArray[0]));
    if (batch) {
      int channelAxis = cell.channelsLast() ? cell.extents().length - 1 : 1;
      builder
          .addIntegerArguments(1, 1, channelAxis) // with weight, with bias
          .addFloatingPointArguments(Workload.EPS);
    } else {
      builder.addIntegerArguments(cell.extents().length - 1).addBooleanArguments(false);
    }
    operator = builder.build();
  }

  /** The running ones for inference; those of the input for its gradient. */
  private List<INDArray> statistics(Workload workload, INDArray x) {
    if (cell.direction() == Direction.INFERENCE) {
      return List.of(
          Nd4j.createFromArray(workload.runningMean()),
          Nd4j.createFromArray(workload.runningVariance()));
    }
    int rank = cell.extents().length;
    int channelAxis = cell.channelsLast() ? rank - 1 : 1;
    int[] others = new int[rank - 1];
    for (int i = 0; i < others.length; i++) {
      others[i] = i < channelAxis ? i : i + 1;
    }
    return List.of(x.mean(others), x.var(false, others));
  }

  /** In the order of memory. */
  private long[] extents() {
    long[] extents = cell.extents();
    if (!cell.channelsLast()) {
      return extents;
    }
    long[] ordered = extents.clone();
    System.arraycopy(extents, 2, ordered, 1, extents.length - 2);
    ordered[extents.length - 1] = extents[1];
    return ordered;
  }

  @Override
  public void call() {
    Nd4j.exec(operator);
  }

  @Override
  public Results results() {
    float[] values = output.data().asFloat();
    return cell.direction() == Direction.BACKWARD
        ? Results.gradients(values, weightGradient.data().asFloat(), biasGradient.data().asFloat())
        : Results.output(values);
  }

  @Override
  public void close() {
    operator.clearArrays();
  }
}
