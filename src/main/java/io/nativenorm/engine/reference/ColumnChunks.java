package io.nativenorm.engine.reference;

/**
 * The chunks of a matrix for elementwise loops: some whole rows, with the parameters of the columns
 * repeated, or strips of a row that is wider than a chunk.
 */
final class ColumnChunks {
  /** Elements of a chunk: 8 KB. */
  private static final int MOST = 2048;

  private final int columns;
  private final long elements;

  /** Rows of a chunk, if it has whole ones. */
  private final int rows;

  final int parts;

  ColumnChunks(Samples samples) {
    columns = samples.columns();
    elements = samples.elements();
    rows = (int) Math.max(1, Math.min(MOST / columns, samples.rows()));
    parts = (columns + MOST - 1) / MOST;
  }

  /** Elements of a chunk, the last of which may be shorter. */
  int length(int part) {
    return parts == 1 ? rows * columns : Math.min(MOST, columns - part * MOST);
  }

  /** The first column of a chunk. */
  int column(int part) {
    return part * MOST;
  }

  /** Arrays for the parameters of each part. */
  float[][] arrays() {
    float[][] arrays = new float[parts][];
    for (int part = 0; part < parts; part++) {
      arrays[part] = new float[length(part)];
    }
    return arrays;
  }

  /** Sets them to those of the columns. */
  void set(float[][] arrays, float[] parameters) {
    for (int part = 0; part < parts; part++) {
      int width = Math.min(columns, length(part));
      for (int at = 0; at < length(part); at += width) {
        System.arraycopy(parameters, column(part), arrays[part], at, width);
      }
    }
  }

  /** What is done with each chunk. */
  interface Body {
    void accept(long at, int part, int count);
  }

  /** All chunks of the matrix that begins with element {@code start}. */
  void forAll(long start, Body body) {
    int part = 0;
    for (long at = 0; at < elements; ) {
      int count = (int) Math.min(length(part), elements - at);
      body.accept(start + at, part, count);
      at += count;
      part = part + 1 == parts ? 0 : part + 1;
    }
  }

  /** Restores the elements of columns that are not to be changed. */
  void keep(boolean[] columnsLeft, int part, int count, float[] old, float[] values) {
    int first = column(part);
    for (int i = 0; i < count; i++) {
      if (columnsLeft[(first + i) % columns]) {
        values[i] = old[i];
      }
    }
  }
}
