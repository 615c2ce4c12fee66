package io.nativenorm.bench.contestant;

import io.nativenorm.Backend;
import io.nativenorm.BatchNorm;
import io.nativenorm.DataType;
import io.nativenorm.Gradients;
import io.nativenorm.GroupNorm;
import io.nativenorm.InstanceNorm;
import io.nativenorm.LayerBuilder;
import io.nativenorm.LayerNorm;
import io.nativenorm.NormLayer;
import io.nativenorm.Pass;
import io.nativenorm.RmsNorm;
import io.nativenorm.Tensor;
import io.nativenorm.bench.Cell;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Results;
import io.nativenorm.bench.Workload;
import java.util.List;
import java.util.Optional;

/** NativeNorm's layers on one of its backends. */
public final class NativeNormContestant implements Contestant {
  private final Backend backend;

  public NativeNormContestant(Backend backend) {
    this.backend = backend;
  }

  @Override
  public String name() {
    return "NativeNorm " + backend;
  }

  @Override
  public String version() {
    return NormLayer.class.getPackage().getImplementationVersion();
  }

  @Override
  public List<DataType> types() {
    return backend == Backend.ONEDNN ? Contestant.super.types() : Cell.TYPES;
  }

  @Override
  public Optional<String> lacks(Cell cell) {
    return Optional.empty();
  }

  @Override
  public List<String> jars() {
    return List.of("nativenorm-", "javacpp-", "dnnl-", "opencl-");
  }

  @Override
  public Session prepare(Workload workload) {
    NormLayer layer = layer(workload);
    return switch (workload.cell().direction()) {
      case INFERENCE -> new Inference(workload, layer);
      case TRAINING -> new Training(workload, layer);
      case BACKWARD -> new Backward(workload, layer);
    };
  }

  private NormLayer layer(Workload workload) {
    Cell cell = workload.cell();
    LayerBuilder<?> builder =
        switch (cell.operation()) {
          case BATCH -> BatchNorm.builder(cell.channels()).momentum(Workload.MOMENTUM);
          case LAYER -> LayerNorm.builder(cell.channels());
          case RMS -> RmsNorm.builder(cell.channels());
          case GROUP -> GroupNorm.builder(cell.groups(), cell.channels());
          case INSTANCE -> InstanceNorm.builder(cell.channels()).affine(true);
        };
    NormLayer layer =
        builder.eps(Workload.EPS).backend(backend).threads(workload.threads()).build();
    layer.weight().copyFrom(workload.weight());
    if (workload.bias() != null) {
      layer.bias().copyFrom(workload.bias());
    }
    if (layer instanceof BatchNorm batch) {
      batch.runningMean().copyFrom(workload.runningMean());
      batch.runningVar().copyFrom(workload.runningVariance());
    }
    return layer;
  }

  private static Tensor tensor(Cell cell, float[] values) {
    Tensor tensor = Tensor.allocate(cell.type(), cell.layout(), cell.extents());
    tensor.copyFrom(values);
    return tensor;
  }

  private static final class Inference implements Session {
    private final NormLayer layer;
    private final Tensor x;
    private final Tensor y;

    Inference(Workload workload, NormLayer layer) {
      this.layer = layer;
      this.x = tensor(workload.cell(), workload.x());
      this.y = Tensor.allocate(x.dataType(), x.layout(), x.shape());
    }

    @Override
    public void call() {
      layer.forward(x, y);
    }

    @Override
    public Results results() {
      return Results.output(y.toArray());
    }

    @Override
    public void close() {
      y.close();
      x.close();
      layer.close();
    }
  }

  private static final class Training implements Session {
    private final NormLayer layer;
    private final Tensor x;
    private Pass pass;

    Training(Workload workload, NormLayer layer) {
      this.layer = layer;
      this.x = tensor(workload.cell(), workload.x());
    }

    @Override
    public void call() {
      if (pass != null) {
        pass.close();
      }
      pass = layer.forwardTraining(x);
    }

    @Override
    public Results results() {
      float[] output = pass.output().toArray();
      return layer instanceof BatchNorm batch
          ? Results.training(output, batch.runningMean().toArray(), batch.runningVar().toArray())
          : Results.output(output);
    }

    @Override
    public void close() {
      if (pass != null) {
        pass.close();
      }
      x.close();
      layer.close();
    }
  }

  private static final class Backward implements Session {
    private final NormLayer layer;
    private final Tensor x;
    private final Tensor dy;
    private final Pass pass;
    private Gradients gradients;

    Backward(Workload workload, NormLayer layer) {
      this.layer = layer;
      this.x = tensor(workload.cell(), workload.x());
      this.dy = tensor(workload.cell(), workload.dy());
      this.pass = layer.forwardTraining(x);
    }

    @Override
    public void call() {
      if (gradients != null) {
        gradients.close();
      }
      gradients = pass.backward(dy);
    }

    @Override
    public Results results() {
      Tensor bias = gradients.bias();
      return Results.gradients(
          gradients.input().toArray(),
          gradients.weight().toArray(),
          bias == null ? null : bias.toArray());
    }

    @Override
    public void close() {
      if (gradients != null) {
        gradients.close();
      }
      pass.close();
      dy.close();
      x.close();
      layer.close();
    }
  }
}
