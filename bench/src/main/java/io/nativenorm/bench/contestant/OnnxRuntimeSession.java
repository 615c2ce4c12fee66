package io.nativenorm.bench.contestant;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.nativenorm.bench.Contestant;
import io.nativenorm.bench.Results;
import io.nativenorm.bench.Workload;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Map;

/** A model of one node, its input and output bound to direct buffers. */
final class OnnxRuntimeSession implements Contestant.Session {
  private final OrtSession session;
  private final OnnxTensor x;
  private final OnnxTensor y;
  private final FloatBuffer output;
  private final Map<String, OnnxTensor> inputs;
  private final Map<String, OnnxTensor> outputs;

  OnnxRuntimeSession(Workload workload) {
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(workload.threads());
      session = environment.createSession(OnnxModel.of(workload), options);
      long[] extents = workload.cell().extents();
      x = OnnxTensor.createTensor(environment, direct(workload.x()), extents);
      output = direct(new float[workload.cell().size()]);
      y = OnnxTensor.createTensor(environment, output, extents);
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
    inputs = Map.of("x", x);
    outputs = Map.of("y", y);
  }

  private static FloatBuffer direct(float[] values) {
    return ByteBuffer.allocateDirect(values.length * Float.BYTES)
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer()
        .put(0, values);
  }

  @Override
  public void call() {
    try {
      session.run(inputs, outputs).close();
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public Results results() {
    float[] values = new float[output.capacity()];
    output.get(0, values);
    return Results.output(values);
  }

  @Override
  public void close() {
    x.close();
    y.close();
    try {
      session.close();
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }
}
