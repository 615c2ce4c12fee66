package io.nativenorm.libraries;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Block;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.UninitializedParameterException;
import ai.djl.nn.core.Linear;
import ai.djl.nn.norm.LayerNorm;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.GradientCollector;
import ai.djl.training.ParameterStore;
import ai.djl.training.Trainer;
import ai.djl.training.loss.Loss;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import io.nativenorm.Tensor;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** {@link NormBlock} is DJL's LayerNorm, whatever it is given. */
class DjlTest extends LibraryTest {
  private static final float TOLERANCE = 2e-6f;

  private final NDManager manager = Engine.getEngine("PyTorch").newBaseManager();
  private final ParameterStore store = new ParameterStore(manager, false);

  @AfterEach
  void close() {
    manager.close();
  }

  private NDArray random(long... shape) {
    return manager.randomNormal(0, 2, new Shape(shape), DataType.FLOAT32);
  }

  /** The two with the same parameters, for a shape. */
  private List<Block> both(Shape shape, int... axis) {
    Block ours = new NormBlock(options(axis));
    Block theirs = options(axis).build();
    ours.initialize(manager, DataType.FLOAT32, shape);
    theirs.initialize(manager, DataType.FLOAT32, shape);
    for (String name : List.of("gamma", "beta")) {
      NDArray values = parameter(ours, name);
      values.set(random(values.getShape().getShape()).toFloatArray());
      parameter(theirs, name).set(values.toFloatArray());
    }
    return List.of(ours, theirs);
  }

  private static LayerNorm.Builder options(int... axis) {
    LayerNorm.Builder options = LayerNorm.builder().optEpsilon(1e-3f);
    return axis.length == 0 ? options : options.axis(axis);
  }

  private static NDArray parameter(Block block, String name) {
    return block.getDirectParameters().get(name).getArray();
  }

  private NDArray output(Block block, NDArray x) {
    return output(block, store, x);
  }

  private static NDArray output(Block block, ParameterStore parameters, NDArray x) {
    return block.forward(parameters, new NDList(x), false).singletonOrThrow();
  }

  private void assertSame(List<Block> blocks, NDArray x) {
    float[] before = x.toType(DataType.FLOAT32, false).toFloatArray();
    NDArray expected = output(blocks.get(1), x);
    for (int i = 0; i < 3; i++) { // the second knows what the first was given
      NDArray y = output(blocks.get(0), x);
      assertEquals(expected.getShape(), y.getShape());
      assertEquals(expected.getDataType(), y.getDataType());
      float[] values = y.toType(DataType.FLOAT32, false).toFloatArray();
      assertArrayEquals(
          expected.toType(DataType.FLOAT32, false).toFloatArray(), values, TOLERANCE * 10);
    }
    assertArrayEquals(before, x.toType(DataType.FLOAT32, false).toFloatArray());
  }

  @TestFactory
  Stream<DynamicTest> inferenceIsThatOfDjl() {
    return Stream.of(
            new long[] {1, 768},
            new long[] {1, 1, 768},
            new long[] {2, 768},
            new long[] {128, 768},
            new long[] {2, 64, 96},
            new long[] {300, 768})
        .map(Shape::new)
        .map(
            shape ->
                DynamicTest.dynamicTest(
                    shape.toString(),
                    () ->
                        assertSame(both(shape, shape.dimension() - 1), random(shape.getShape()))));
  }

  /** What makes it faster than DJL's between PyTorch's operators. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void largeCallsAreOnPyTorchsThreads() {
    try (io.nativenorm.LayerNorm norm =
            io.nativenorm.LayerNorm.builder(768).threadsOf(NormBlock.PYTORCH).threads(2).build();
        Tensor x = Tensor.zeros(128, 768)) {
      assertTrue(norm.explain(x).contains("openmp"), norm.explain(x));
    }
  }

  @Test
  void oneInputAfterAnother() {
    List<Block> blocks = both(new Shape(1, 768), 1);
    for (long rows : new long[] {1, 1, 3, 1, 1, 200, 1, 2}) {
      assertSame(blocks, random(rows, 768));
    }
  }

  @Test
  void severalDimensionsTogether() {
    List<Block> blocks = both(new Shape(4, 6, 5));
    assertSame(blocks, random(4, 6, 5));
    assertSame(blocks, random(1, 6, 5));
    assertSame(blocks, random(1, 5, 6).transpose(0, 2, 1)); // one row, permuted
    assertSame(both(new Shape(4, 6, 1)), random(1, 6, 1));
  }

  @Test
  void arraysThatAreNotDense() {
    List<Block> blocks = both(new Shape(1, 64), 1);
    assertSame(blocks, random(1, 64));
    assertSame(blocks, random(64, 10).transpose());
    assertSame(blocks, random(10, 128).get(new NDIndex(":, 32:96")));
    assertSame(blocks, random(1, 128).get(new NDIndex(":, ::2")));
    assertSame(blocks, random(10, 64).get(new NDIndex("3:7")));
    assertSame(blocks, random(64, 1).transpose());
  }

  @Test
  void noRows() {
    List<Block> blocks = both(new Shape(1, 64), 1);
    assertSame(blocks, random(0, 64));
  }

  @Test
  void otherTypesAreDjls() {
    List<Block> blocks = List.of(new NormBlock(options(1)), options(1).build());
    for (Block block : blocks) {
      block.initialize(manager, DataType.FLOAT64, new Shape(1, 64));
    }
    assertSame(blocks, random(1, 64).toType(DataType.FLOAT64, false));
    assertSame(blocks, random(2, 64).toType(DataType.FLOAT64, false));
  }

  @Test
  void anInputOfAnotherTypeIsRefusedAsByDjl() {
    List<Block> blocks = both(new Shape(1, 64), 1);
    assertSame(blocks, random(1, 64));
    NDArray integers = random(1, 64).toType(DataType.INT32, false); // as many bytes
    for (Block block : blocks) {
      assertThrows(RuntimeException.class, () -> output(block, integers));
    }
  }

  @Test
  void aLengthThatDoesNotFitIsRefused() {
    List<Block> blocks = both(new Shape(1, 64), 1);
    assertSame(blocks, random(1, 64));
    for (Block block : blocks) {
      assertThrows(RuntimeException.class, () -> output(block, random(1, 32)));
      assertThrows(RuntimeException.class, () -> output(block, random(2, 32)));
    }
  }

  @Test
  void trainedByPyTorchAndThenUsed() {
    List<List<Float>> losses = new ArrayList<>();
    List<float[]> results = new ArrayList<>();
    List<Supplier<Block>> norms =
        List.of(() -> new NormBlock(options(1)), () -> options(1).build());
    NDArray x = random(16, 32);
    NDArray wanted = random(16, 4);
    for (Supplier<Block> norm : norms) {
      Block block =
          new SequentialBlock()
              .add(Linear.builder().setUnits(24).build())
              .add(norm.get())
              .add(Linear.builder().setUnits(4).build());
      try (Model model = Model.newInstance("model", "PyTorch")) {
        model.setBlock(block);
        losses.add(lossesOf(model, x, wanted));
        results.add(output(block, x).toFloatArray());
      }
    }
    assertEquals(losses.get(1), losses.get(0));
    assertNotEquals(losses.get(0).get(0), losses.get(0).get(9));
    assertArrayEquals(results.get(1), results.get(0), TOLERANCE * 10);
  }

  /** Ten steps, and the inference in between, which must not keep the parameters of then. */
  private static List<Float> lossesOf(Model model, NDArray x, NDArray wanted) {
    DefaultTrainingConfig config =
        new DefaultTrainingConfig(Loss.l2Loss())
            .optOptimizer(Optimizer.sgd().setLearningRateTracker(Tracker.fixed(1e-3f)).build());
    List<Float> losses = new ArrayList<>();
    try (Trainer trainer = model.newTrainer(config)) {
      trainer.initialize(x.getShape());
      for (var parameter : model.getBlock().getParameters()) {
        NDArray array = parameter.getValue().getArray();
        if (parameter.getValue().getName().equals("weight")) {
          array.set(Rows.of(1, (int) array.size()).weight());
        }
      }
      for (int step = 0; step < 10; step++) {
        trainer.evaluate(new NDList(x));
        try (GradientCollector collector = trainer.newGradientCollector()) {
          NDList y = trainer.forward(new NDList(x));
          NDArray loss = trainer.getLoss().evaluate(new NDList(wanted), y);
          collector.backward(loss);
          losses.add(loss.toFloatArray()[0]);
        }
        trainer.step();
      }
    }
    return losses;
  }

  @Test
  void filesAreThoseOfDjl() throws Exception {
    List<Block> blocks = both(new Shape(1, 64), 1);
    NDArray x = random(3, 64);
    for (int from = 0; from < 2; from++) {
      ByteArrayOutputStream file = new ByteArrayOutputStream();
      blocks.get(from).saveParameters(new DataOutputStream(file));
      Block other = both(new Shape(1, 64), 1).get(1 - from);
      output(other, x); // on the parameters before
      other.loadParameters(
          manager, new DataInputStream(new ByteArrayInputStream(file.toByteArray())));
      assertArrayEquals(
          output(blocks.get(from), x).toFloatArray(),
          output(other, new ParameterStore(manager, false), x)
              .toFloatArray(), // the other keeps arrays
          TOLERANCE);
    }
  }

  @Test
  void closedParametersAreNotRead() {
    Block ours = both(new Shape(1, 64), 1).get(0);
    NDArray x = random(1, 64);
    output(ours, x);
    output(ours, x);
    ours.clear();
    assertThrows(UninitializedParameterException.class, () -> output(ours, x));
  }
}
