package io.nativenorm.gloo;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.gloo.TransportContext;
import org.bytedeco.pytorch.gloo.UnboundBuffer;
import org.jspecify.annotations.Nullable;

/**
 * A connection of Gloo's to each other worker, for messages of two kinds: frames, one a call, and
 * the notice why this worker ends. A message goes into memory that its receiver has posted:
 *
 * <ul>
 *   <li>Memory for a worker's next frame is posted as soon as its last one was read, so it goes on
 *       its way at once; memory for its notice from the start.
 *   <li>Gloo ends the process if a message is larger than what is posted for it. All workers that
 *       made the same calls have posted as much, {@link #capacity}, and nothing larger is sent.
 *   <li>A frame lies in one of two places, in turn: who has all workers' next frames knows that all
 *       have read the one before. Nobody waits for a frame to leave when it is sent: if its
 *       receiver has died, Gloo does not say so to who waits for that.
 *   <li>One thread at a time sends and awaits frames and makes the memory larger; others may {@link
 *       #tellAll} and {@link #interrupt} meanwhile. Who closes it knows that nobody is in a call.
 * </ul>
 */
final class Mesh implements AutoCloseable {
  private static final int FRAMES = 0;
  private static final int NOTICES = 1;

  /** Of a frame: 513 values, what 256 channels have, and the names of several layers. */
  private static final int FIRST_CAPACITY = 5000;

  /** For frames to leave that others want to read. */
  private static final long FLUSH_MILLIS = 1000;

  /** Memory that messages come to or leave from. */
  private static final class Place implements AutoCloseable {
    final ByteBuffer bytes;
    final UnboundBuffer buffer;
    private final BytePointer memory;
    private int sends;

    Place(TransportContext context, int capacity) {
      memory = new BytePointer(capacity);
      bytes = memory.asByteBuffer().order(ByteOrder.nativeOrder());
      buffer = context.createUnboundBuffer(memory, capacity);
    }

    void send(int peer, int kind, int length) {
      buffer.send(peer, kind, 0, length);
      sends++;
    }

    /** Waits until all that was sent has left. */
    void awaitSent(Milliseconds longest) {
      for (; sends > 0; sends--) {
        buffer.waitSend(longest);
      }
    }

    @Override
    public void close() {
      buffer.deallocate();
      memory.deallocate();
    }
  }

  private final int rank;
  private final TransportContext context;

  /** What a wait takes at most if nobody interrupts it, as the watch does earlier. */
  private final Milliseconds longest;

  private final Place notice;
  private final Place[] notices;
  private final Place[] frames;

  /** This worker's frames, the one of {@link #turn} and the one before. */
  private final Place[] own = new Place[2];

  private int turn;
  private int capacity = FIRST_CAPACITY;
  private boolean told;
  private boolean interrupted;
  private boolean closed;

  /** Takes the context over, of which all are connected. */
  Mesh(TransportContext context, int rank, int size, long longestMillis) {
    this.context = context;
    this.rank = rank;
    longest = new Milliseconds(longestMillis);
    notice = new Place(context, Failure.LARGEST);
    own[0] = new Place(context, capacity);
    own[1] = new Place(context, capacity);
    notices = new Place[size];
    frames = new Place[size];
    for (int peer = 0; peer < size; peer++) {
      if (peer != rank) {
        notices[peer] = new Place(context, Failure.LARGEST);
        post(notices[peer], peer, NOTICES);
        frames[peer] = new Place(context, capacity);
        post(peer);
      }
    }
  }

  /** Of a frame, in bytes. */
  int capacity() {
    return capacity;
  }

  /** Where this worker's next frame is written before it is sent. */
  ByteBuffer next() {
    turn ^= 1;
    own[turn].awaitSent(longest);
    if (own[turn].bytes.capacity() < capacity) {
      synchronized (this) {
        own[turn].close();
        own[turn] = new Place(context, capacity);
      }
    }
    return own();
  }

  /** Where this worker's last frame is. */
  ByteBuffer own() {
    return own[turn].bytes;
  }

  /** Where another worker's frame is from {@link #await} to {@link #post}. */
  ByteBuffer frame(int peer) {
    return frames[peer].bytes;
  }

  void send(int peer, int bytes) {
    own[turn].send(peer, FRAMES, bytes);
  }

  /** Waits for another worker's frame; returns false if it was interrupted. */
  boolean await(int peer) {
    return frames[peer].buffer.waitRecv(longest);
  }

  /** Lets another worker's next frame come. */
  void post(int peer) {
    post(frames[peer], peer, FRAMES);
  }

  private static void post(Place place, int peer, int kind) {
    try {
      place.buffer.recv(peer, kind);
    } catch (RuntimeException gone) {
      return; // which who sends to it is told too; it may have ended after its last call
    }
  }

  /**
   * Makes room for larger frames, where no worker has been let send one.
   *
   * @return false if it was interrupted
   */
  synchronized boolean grow(int bytes) {
    if (interrupted) {
      return false;
    }
    capacity = bytes;
    for (int peer = 0; peer < frames.length; peer++) {
      if (peer != rank) {
        frames[peer].close();
        frames[peer] = new Place(context, capacity);
        post(peer);
      }
    }
    return true;
  }

  /** What a worker whose connection is gone had said before, or null. */
  @Nullable Failure told(int peer) {
    try {
      return notices[peer].buffer.waitRecv(longest) ? Failure.read(notices[peer].bytes) : null;
    } catch (RuntimeException nothing) {
      return null;
    }
  }

  /** Says to all that are still there why this worker ends; only the first time. */
  synchronized void tellAll(Failure why) {
    if (told || closed) {
      return;
    }
    told = true;
    why.write(notice.bytes);
    for (int peer = 0; peer < notices.length; peer++) {
      if (peer != rank) {
        try {
          notice.send(peer, NOTICES, notice.bytes.position());
        } catch (RuntimeException gone) {
          // and knows it
        }
      }
    }
  }

  /** Waits until the last frames have left: what is still here when this closes, never does. */
  void flush() {
    try (Milliseconds patience = new Milliseconds(FLUSH_MILLIS)) {
      own[0].awaitSent(patience);
      own[1].awaitSent(patience);
    } catch (RuntimeException gone) {
      return; // who was to read them
    }
  }

  /** Ends this and all later waits. */
  synchronized void interrupt() {
    interrupted = true;
    if (!closed) {
      own[0].buffer.abortWaitSend();
      own[1].buffer.abortWaitSend();
      for (int peer = 0; peer < frames.length; peer++) {
        if (peer != rank) {
          frames[peer].buffer.abortWaitRecv();
        }
      }
    }
  }

  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    own[0].close();
    own[1].close();
    notice.close();
    for (int peer = 0; peer < frames.length; peer++) {
      if (peer != rank) {
        frames[peer].close();
        notices[peer].close();
      }
    }
    context.deallocate();
    longest.deallocate();
  }
}
