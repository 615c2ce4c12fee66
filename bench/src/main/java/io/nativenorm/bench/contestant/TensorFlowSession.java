package io.nativenorm.bench.contestant;

import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Direction;
import io.nativenorm.bench.Results;
import io.nativenorm.bench.Workload;
import java.util.List;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.nn.FusedBatchNorm;
import org.tensorflow.op.nn.FusedBatchNormGrad;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.TFloat32;

/** A graph of one operator, fed and fetched. Each call allocates its results, as it always does. */
final class TensorFlowSession implements Contestant.Session {
  private final Cell cell;
  private final Graph graph = new Graph();
  private final Session session;
  private final Session.Runner runner;
  private final List<TFloat32> fed;
  private Result results;

  TensorFlowSession(Workload workload) {
    cell = workload.cell();
    Ops ops = Ops.create(graph);
    session =
        new Session(
            graph,
            ConfigProto.newBuilder()
                .setIntraOpParallelismThreads(workload.threads())
                .setInterOpParallelismThreads(1)
                .build());
    Placeholder<TFloat32> x = ops.placeholder(TFloat32.class);
    Placeholder<TFloat32> weight = ops.placeholder(TFloat32.class);
    Placeholder<TFloat32> bias = ops.placeholder(TFloat32.class);
    Placeholder<TFloat32> mean = ops.placeholder(TFloat32.class);
    Placeholder<TFloat32> variance = ops.placeholder(TFloat32.class);
    TFloat32 input = tensor(workload.x());
    TFloat32 scale = TFloat32.vectorOf(workload.weight());
    TFloat32 shift = TFloat32.vectorOf(workload.bias());
    TFloat32 oldMean = TFloat32.vectorOf(workload.runningMean());
    TFloat32 oldVariance = TFloat32.vectorOf(workload.runningVariance());
    boolean training = cell.direction() != Direction.INFERENCE;
    FusedBatchNorm<TFloat32, TFloat32> forward =
        ops.nn.fusedBatchNorm(
            x,
            weight,
            bias,
            mean,
            variance,
            FusedBatchNorm.epsilon((float) Workload.EPS),
            FusedBatchNorm.exponentialAvgFactor((float) Workload.MOMENTUM),
            FusedBatchNorm.dataFormat(format()),
            FusedBatchNorm.isTraining(training));
    Session.Runner pass =
        session
            .runner()
            .feed(x, input)
            .feed(weight, scale)
            .feed(bias, shift)
            .feed(mean, oldMean)
            .feed(variance, oldVariance);
    if (cell.direction() != Direction.BACKWARD) {
      runner = pass.fetch(forward.y()).fetch(forward.batchMean()).fetch(forward.batchVariance());
      fed = List.of(input, scale, shift, oldMean, oldVariance);
      return;
    }
    List<Output<TFloat32>> saved =
        List.of(forward.reserveSpace1(), forward.reserveSpace2(), forward.reserveSpace3());
    saved.forEach(pass::fetch);
    Result reserved = pass.run();
    Placeholder<TFloat32> dy = ops.placeholder(TFloat32.class);
    List<Placeholder<TFloat32>> spaces =
        saved.stream().map(space -> ops.placeholder(TFloat32.class)).toList();
    FusedBatchNormGrad<TFloat32, TFloat32> backward =
        ops.nn.fusedBatchNormGrad(
            dy,
            x,
            weight,
            spaces.get(0),
            spaces.get(1),
            spaces.get(2),
            FusedBatchNormGrad.epsilon((float) Workload.EPS),
            FusedBatchNormGrad.dataFormat(format()),
            FusedBatchNormGrad.isTraining(true));
    TFloat32 gradient = tensor(workload.dy());
    runner = session.runner().feed(dy, gradient).feed(x, input).feed(weight, scale);
    for (int i = 0; i < spaces.size(); i++) {
      runner.feed(spaces.get(i), reserved.get(i));
    }
    for (Operand<TFloat32> wanted :
        List.of(backward.xBackprop(), backward.scaleBackprop(), backward.offsetBackprop())) {
      runner.fetch(wanted);
    }
    fed = List.of(input, scale, shift, oldMean, oldVariance, gradient);
  }

  private String format() {
    return cell.channelsLast() ? "NHWC" : "NCHW";
  }

  /** Four extents, which the operator asks for. */
  private TFloat32 tensor(float[] values) {
    long n = cell.batch();
    long c = cell.channels();
    long s = cell.spatial();
    Shape shape = cell.channelsLast() ? Shape.of(n, s, 1, c) : Shape.of(n, c, s, 1);
    return TFloat32.tensorOf(shape, DataBuffers.of(values));
  }

  @Override
  public void call() {
    if (results != null) {
      results.close();
    }
    results = runner.run();
  }

  @Override
  public Results results() {
    if (cell.direction() == Direction.BACKWARD) {
      return Results.gradients(values(0), values(1), values(2));
    }
    return cell.direction() == Direction.TRAINING
        ? Results.training(values(0), values(1), values(2))
        : Results.output(values(0));
  }

  private float[] values(int index) {
    Tensor tensor = results.get(index);
    float[] values = new float[(int) tensor.size()];
    tensor.asRawTensor().data().asFloats().read(values);
    return values;
  }

  @Override
  public void close() {
    if (results != null) {
      results.close();
    }
    session.close();
    graph.close();
    fed.forEach(Tensor::close);
  }
}
