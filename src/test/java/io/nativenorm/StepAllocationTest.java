package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.nativenorm.engine.memory.MemoryPool;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A training step over twelve layers, forward and back, takes no native memory once it has run, and
 * less than 1 KB of heap for each layer.
 */
class StepAllocationTest {
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private static final int LAYERS = 12;
  private static final int STEPS = 400;
  private static final int ROUNDS = 6;
  private static final int MOST_BYTES = 1024;

  @BeforeAll
  static void isThere() {
    TestEngines.assumeFused();
  }

  enum Kind {
    BATCH(16, 8, 7, 7),
    LAYER(24, 64),
    RMS(24, 64),
    GROUP(4, 8, 7, 7),
    INSTANCE(4, 8, 7, 7),
    LARGE_BATCH(16, 16, 20, 20), // on JDK 17 its arrays are copied
    LARGE_LAYER(128, 768);

    private final long[] shape;

    Kind(long... shape) {
      this.shape = shape;
    }

    NormLayer layer() {
      LayerBuilder<?> builder =
          switch (this) {
            case BATCH, LARGE_BATCH -> BatchNorm.builder(shape[1]).activation(Activation.RELU);
            case LAYER, LARGE_LAYER -> LayerNorm.builder(shape[1]);
            case RMS -> RmsNorm.builder(shape[1]);
            case GROUP -> GroupNorm.builder(4, shape[1]);
            case INSTANCE -> InstanceNorm.builder(shape[1]).trackRunningStats(true).affine(true);
          };
      return builder.backend(Backend.FUSED).build();
    }

    int size() {
      return (int) Shapes.size(shape);
    }
  }

  /** A stack of layers with what a step of them needs; closes all that it made. */
  private abstract static class Stack implements AutoCloseable {
    final List<NormLayer> layers = new ArrayList<>();
    final List<Pass> passes = new ArrayList<>();

    Stack(Kind kind) {
      for (int i = 0; i < LAYERS; i++) {
        layers.add(kind.layer());
      }
    }

    abstract void step();

    @Override
    public void close() {
      passes.forEach(Pass::close);
      layers.forEach(NormLayer::close);
    }
  }

  private static final class OnArrays extends Stack {
    private final float[][] activations = new float[LAYERS + 1][];
    private final float[] gradient;
    private final float[][] dWeights = new float[LAYERS][];

    OnArrays(Kind kind) {
      super(kind);
      activations[0] = TestData.normal(1, kind.size(), 0, 1);
      gradient = TestData.normal(2, kind.size(), 0, 1);
      for (int i = 0; i < LAYERS; i++) {
        activations[i + 1] = new float[kind.size()];
        dWeights[i] = new float[(int) layers.get(i).weight().size()];
        passes.add(layers.get(i).forwardTraining(activations[i], activations[i + 1], kind.shape));
      }
    }

    @Override
    void step() {
      for (int i = 0; i < LAYERS; i++) {
        passes.get(i).forward(activations[i], activations[i + 1]);
      }
      for (int i = LAYERS - 1; i >= 0; i--) {
        passes.get(i).backward(gradient, gradient, dWeights[i], null);
      }
    }
  }

  private static final class OnTensors extends Stack {
    private final List<Tensor> activations = new ArrayList<>();
    private final List<Tensor> dWeights = new ArrayList<>();
    private final Tensor gradient;

    OnTensors(Kind kind) {
      super(kind);
      activations.add(Tensor.of(TestData.normal(1, kind.size(), 0, 1), kind.shape));
      gradient = Tensor.of(TestData.normal(2, kind.size(), 0, 1), kind.shape);
      for (int i = 0; i < LAYERS; i++) {
        activations.add(Tensor.zeros(kind.shape));
        dWeights.add(Tensor.zeros(layers.get(i).weight().shape()));
        passes.add(layers.get(i).forwardTraining(activations.get(i), activations.get(i + 1)));
      }
    }

    @Override
    void step() {
      for (int i = 0; i < LAYERS; i++) {
        passes.get(i).forward(activations.get(i), activations.get(i + 1));
      }
      for (int i = LAYERS - 1; i >= 0; i--) {
        passes.get(i).accumulate(gradient, gradient, dWeights.get(i), null);
      }
    }

    @Override
    public void close() {
      super.close();
      activations.forEach(Tensor::close);
      dWeights.forEach(Tensor::close);
      gradient.close();
    }
  }

  /** New passes and gradients in each step, which a scope closes. */
  private static final class InAScope extends Stack {
    private final Tensor x;
    private final Tensor dy;

    InAScope(Kind kind) {
      super(kind);
      x = Tensor.of(TestData.normal(1, kind.size(), 0, 1), kind.shape);
      dy = Tensor.of(TestData.normal(2, kind.size(), 0, 1), kind.shape);
    }

    @Override
    void step() {
      try (TensorScope scope = TensorScope.open()) {
        Pass[] made = new Pass[LAYERS];
        Tensor y = x;
        for (int i = 0; i < LAYERS; i++) {
          made[i] = layers.get(i).forwardTraining(y);
          y = made[i].output();
        }
        Tensor gradient = dy;
        for (int i = LAYERS - 1; i >= 0; i--) {
          gradient = made[i].backward(gradient).input();
        }
        scope.keep(gradient);
      }
    }

    @Override
    public void close() {
      super.close();
      x.close();
      dy.close();
    }
  }

  /** Of the round that allocated least: the compiler may allocate in a thread's name. */
  private static void assertFrugal(String what, Stack stack, long most) {
    MemoryPool.giveBack(Long.MAX_VALUE); // what is idle now may be freed at any time
    repeat(stack);
    long least = Long.MAX_VALUE;
    for (int round = 0; round < ROUNDS; round++) {
      long taken = Pointer.totalBytes();
      long before = THREADS.getCurrentThreadAllocatedBytes();
      repeat(stack);
      least = Math.min(least, THREADS.getCurrentThreadAllocatedBytes() - before);
      assertEquals(0, Pointer.totalBytes() - taken, what + ": bytes of native memory");
    }
    double bytes = (double) least / STEPS / LAYERS;
    System.out.printf("%s: %.0f bytes of heap a layer and step%n", what, bytes);
    assertTrue(bytes < most, what + ": " + bytes + " bytes of heap a layer and step");
  }

  private static void repeat(Stack stack) {
    for (int i = 0; i < STEPS; i++) {
      stack.step();
    }
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void onArrays(Kind kind) {
    try (Stack stack = new OnArrays(kind)) {
      assertFrugal("arrays " + kind, stack, MOST_BYTES);
    }
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void onTensors(Kind kind) {
    try (Stack stack = new OnTensors(kind)) {
      assertFrugal("tensors " + kind, stack, MOST_BYTES);
    }
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void inAScope(Kind kind) {
    try (Stack stack = new InAScope(kind)) {
      assertFrugal("scope " + kind, stack, 4 * MOST_BYTES);
    }
  }
}
