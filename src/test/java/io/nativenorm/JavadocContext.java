package io.nativenorm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/** What the snippets of methods find there. */
public abstract class JavadocContext extends Snippets.Context {
  public final int dim = 768;
  public final int tokens = 4;
  public final int layer = 1;
  public final int heads = 16;
  public final int keyHeads = 8;
  public final int length = 128;
  public final int offset = 128;
  public final float[] x = new float[32 * dim];
  public final float[] y = new float[32 * dim];
  public final float[] dy = new float[32 * dim];
  public final float[] dx = new float[32 * dim];
  public final float[] dWeight = new float[dim];
  public final float[] xb = new float[dim];
  public final float[] values = new float[32 * dim];
  public final float[] gradient = new float[32 * dim];
  public final float[] weights = new float[2 * dim];
  public final float[] biases = new float[2 * dim];
  public final float[] qkv = new float[tokens * (heads + 2 * keyHeads) * length];
  public final float[] k = new float[tokens * keyHeads * length];
  public final ByteBuffer file = ByteBuffer.allocateDirect(4 * 4096).order(ByteOrder.nativeOrder());
  public final ByteBuffer mapped = file;
  public final StatisticsExchange end = StatisticsExchange.threads(1, Duration.ofSeconds(5)).get(0);
  public LayerNorm norm;
  public RmsNorm queryNorm;
  public RmsNorm keyNorm;
  public Tensor batch;
  public Tensor tensor;
  public Gradients gradients;
  public Path folder;
  public FileChannel channel;

  @Override
  @SuppressWarnings("try")
  final void begin(Path place) throws Exception {
    try (TensorScope all = TensorScope.open();
        LayerNorm rows = LayerNorm.of(dim);
        RmsNorm head = RmsNorm.of(length);
        FileChannel bytes = FileChannel.open(Files.write(place.resolve("w"), new byte[1 << 17]))) {
      channel = bytes;
      folder = place;
      norm = rows;
      queryNorm = head;
      keyNorm = head;
      batch = Tensor.zeros(32, dim);
      tensor = Tensor.zeros(2, 3, 4);
      gradients = norm.forwardTraining(batch).backward(batch);
      run();
    }
  }
}
