package io.nativenorm.libraries;

import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.Block;
import ai.djl.nn.Blocks;
import ai.djl.nn.ParallelBlock;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.nn.norm.LayerNorm;
import ai.djl.training.ParameterStore;
import java.util.List;
import java.util.function.Supplier;

/** DJL's LayerNorm against {@link NormBlock}: alone, and each twelve times in a model. */
final class DjlTimes {
  private static final int LENGTH = 768;
  private static final int BOTTLENECK = 16;
  private static final int LAYERS = 12;

  private DjlTimes() {}

  public static void main(String[] arguments) throws Exception {
    try (NDManager manager = Engine.getEngine("PyTorch").newBaseManager()) {
      for (int count : new int[] {1, 128, 1024}) {
        Rows rows = Rows.of(count, LENGTH);
        NDArray x = manager.create(rows.x(), new Shape(1, count, LENGTH));
        Block ours = initialized(manager, x, new NormBlock(options()), rows);
        Block theirs = initialized(manager, x, options().build(), rows);
        rows.requireRight("NativeNorm", output(ours, x));
        rows.requireRight("DJL", output(theirs, x));
        String shape = "1 x " + count + " x " + LENGTH;
        Turns.race(shape, call("NativeNorm", ours, x), call("DJL", theirs, x));
        Turns.race(
            shape + ", copied by DJL before",
            copied("NativeNorm", ours, x),
            copied("DJL", theirs, x));
        Block model = initialized(manager, x, model(() -> new NormBlock(options())), rows);
        Block original = initialized(manager, x, model(() -> options().build()), rows);
        Turns.race(
            shape + " through a model", copied("NativeNorm", model, x), copied("DJL", original, x));
      }
    }
    System.exit(0); // whatever threads PyTorch leaves
  }

  private static LayerNorm.Builder options() {
    return LayerNorm.builder().axis(2);
  }

  /** Adapters as in a transformer: x + up(relu(down(norm(x)))). */
  private static Block model(Supplier<Block> norm) {
    SequentialBlock all = new SequentialBlock();
    for (int i = 0; i < LAYERS; i++) {
      Block branch =
          new SequentialBlock()
              .add(norm.get())
              .add(Linear.builder().setUnits(BOTTLENECK).build())
              .add(Activation.reluBlock())
              .add(Linear.builder().setUnits(LENGTH).build());
      all.add(
          new ParallelBlock(
              both ->
                  new NDList(both.get(0).singletonOrThrow().add(both.get(1).singletonOrThrow())),
              List.of(Blocks.identityBlock(), branch)));
    }
    return all;
  }

  private static Block initialized(NDManager manager, NDArray x, Block block, Rows rows) {
    block.initialize(manager, DataType.FLOAT32, x.getShape());
    block
        .getParameters()
        .forEach(
            parameter -> {
              NDArray array = parameter.getValue().getArray();
              switch (parameter.getValue().getName()) {
                case "gamma" -> array.set(rows.weight());
                case "beta" -> array.set(rows.bias());
                default -> array.set(new float[(int) array.size()]);
              }
            });
    return block;
  }

  private static float[] output(Block block, NDArray x) {
    ParameterStore store = new ParameterStore(x.getManager(), false);
    try (NDList y = block.forward(store, new NDList(x), false)) {
      return y.singletonOrThrow().toFloatArray();
    }
  }

  private static Turns.Call call(String name, Block block, NDArray x) {
    ParameterStore store = new ParameterStore(x.getManager(), false);
    return new Turns.Call(name, () -> inOwnManager(block, store, x, false));
  }

  /** What an operator of DJL's has just made lies in its threads' caches, and they still spin. */
  private static Turns.Call copied(String name, Block block, NDArray x) {
    ParameterStore store = new ParameterStore(x.getManager(), false);
    return new Turns.Call(name, () -> inOwnManager(block, store, x, true));
  }

  /** As a predictor calls: what a call makes is closed after it. */
  private static void inOwnManager(Block block, ParameterStore store, NDArray x, boolean copies) {
    try (NDManager manager = x.getManager().newSubManager()) {
      NDArray input = x;
      if (copies) {
        input = x.duplicate();
        input.attach(manager);
      }
      block.forward(store, new NDList(input), false).attach(manager);
    }
  }
}
