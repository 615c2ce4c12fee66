package io.nativenorm.gloo;

import io.nativenorm.ExchangeException;
import io.nativenorm.StatisticsExchange;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;

/**
 * An exchange between processes, on one machine or on several, over TCP by Gloo, PyTorch's library
 * for that: each worker has a connection to each other one.
 *
 * <pre>{@code
 * int rank = Integer.parseInt(args[0]);
 * int size = Integer.parseInt(args[1]);
 * try (StatisticsExchange exchange =
 *         GlooExchange.connect("10.0.0.7", 29500, rank, size, Duration.ofSeconds(60));
 *     BatchNorm norm = BatchNorm.builder(64).exchange(exchange).build()) {
 *   train(norm);                               // as with one worker, on this worker's samples
 * }
 * }</pre>
 *
 * <p>All workers make as many calls, in the same order. What goes wrong is an {@link
 * ExchangeException} on all of them, which names a rank: a worker that is at another step, that has
 * died (the others know as soon as its connection breaks, so within the timeout also where a
 * machine is cut off), that does not come within the timeout, or has closed its end. A worker that
 * had the numbers of all by then returns them and throws at its next call. The exchange is dead
 * then, and so are its connections; workers that go on connect anew. Who waits is not woken by
 * {@link Thread#interrupt}, but by {@link #close}.
 *
 * <p>A call is one message to each other worker with the step, 8 bytes for each value, and the
 * values: 80 us for 257 values between two processes of one machine. The first call that is larger
 * than those before it (from 256 channels on) takes two. Loading Gloo takes a second.
 *
 * <p>It needs the binaries of {@code org.bytedeco:pytorch} for the platform it runs on, which are
 * there for linux-x86_64, macosx-arm64 and macosx-x86_64. Nothing is encrypted, nor is anybody
 * asked who they are: it is for a network of which all machines are trusted. Gloo prints a line to
 * the process's output when it has connected.
 *
 * @see <a href="https://github.com/pytorch/gloo">Gloo</a>
 */
public final class GlooExchange implements StatisticsExchange {
  /** Beyond the timeout, for waits that nobody ended. */
  private static final long BACKSTOP_MILLIS = 10_000;

  /** What sockets take as a timeout, and longer than anybody waits. */
  private static final long LONGEST_MILLIS = Integer.MAX_VALUE - BACKSTOP_MILLIS;

  private final int rank;
  private final int size;
  private final long millis;
  private final Mesh mesh;
  private final Watch watch;
  private final AtomicReference<Failure> failure = new AtomicReference<>();

  /** Held by the thread that is in a call. */
  private final ReentrantLock call = new ReentrantLock();

  private GlooExchange(Mesh mesh, int rank, int size, long millis) {
    this.mesh = mesh;
    this.rank = rank;
    this.size = size;
    this.millis = millis;
    watch = new Watch(millis, mesh::interrupt);
  }

  /**
   * Connects this worker to the others: each calls it with its own rank. Rank 0 listens at the
   * address until all have come.
   *
   * @param host a name or address of the machine that rank 0 runs on, by which the others reach it
   * @param port one that is free there, from 1 to 65535
   * @param rank this worker's, from 0 to {@code size - 1}
   * @param size how many workers there are, at least 1
   * @param timeout how long to wait for rank 0 to listen, then for all to come, and in each call
   *     for the others; more than nothing
   * @return this worker's end of the exchange
   * @throws ExchangeException if somebody does not come, a rank is there twice, or workers do not
   *     agree on how many there are: on all that have come, naming the rank
   * @throws io.nativenorm.NativeNormException if Gloo cannot be loaded here
   * @throws IllegalArgumentException if port, rank, size or timeout are none
   */
  public static GlooExchange connect(String host, int port, int rank, int size, Duration timeout) {
    require(port >= 1 && port <= 65535, "a port from 1 to 65535", port);
    return connect(host, port, rank, size, timeout, known -> {});
  }

  /**
   * Connects rank 0, at a port that is free: for those who can tell the others which one it is.
   *
   * <pre>{@code
   * GlooExchange.host("10.0.0.7", 3, timeout, port -> tellTheOthers("10.0.0.7", port));
   * }</pre>
   *
   * @param host a name or address of this machine, by which the others reach it
   * @param size how many workers there are, at least 1
   * @param timeout how long to wait for all to come, and in each call for the others
   * @param listening told the port once others may {@link #connect}
   * @return the end of rank 0
   * @throws ExchangeException as {@link #connect}
   * @throws io.nativenorm.NativeNormException if Gloo cannot be loaded here
   * @throws IllegalArgumentException if size or timeout are none
   */
  public static GlooExchange host(String host, int size, Duration timeout, IntConsumer listening) {
    return connect(host, 0, 0, size, timeout, Objects.requireNonNull(listening, "listening"));
  }

  private static GlooExchange connect(
      String host, int port, int rank, int size, Duration timeout, IntConsumer listening) {
    Objects.requireNonNull(host, "host");
    Objects.requireNonNull(timeout, "timeout");
    require(size >= 1, "1 worker or more", size);
    require(rank >= 0 && rank < size, "a rank from 0 to " + (size - 1), rank);
    require(!timeout.isZero() && !timeout.isNegative(), "a timeout above 0", timeout);
    boolean isShort = timeout.compareTo(Duration.ofMillis(LONGEST_MILLIS)) < 0;
    long millis = isShort ? Math.max(1, timeout.toMillis()) : LONGEST_MILLIS;
    Pairs.load();
    try (Rendezvous rendezvous = Rendezvous.open(host, port, rank, size, millis)) {
      listening.accept(rendezvous.port());
      Pairs pairs = new Pairs(rendezvous.address(), rank, size, millis);
      try {
        pairs.connect(rendezvous.meet(pairs.addresses()));
      } catch (RuntimeException e) {
        pairs.close();
        throw e;
      }
      Mesh mesh = new Mesh(pairs.context(), rank, size, millis + BACKSTOP_MILLIS);
      GlooExchange exchange = new GlooExchange(mesh, rank, size, millis);
      // Once all have answered, who ends at once can say so to each: its notice has a place there.
      exchange.allGather("connect", new double[0]);
      return exchange;
    }
  }

  private static void require(boolean isSo, String expected, Object got) {
    if (!isSo) {
      throw new IllegalArgumentException("expected " + expected + ", but got " + got);
    }
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int size() {
    return size;
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalArgumentException if step and values are 2 GB
   */
  @Override
  public double[][] allGather(String step, double[] mine) {
    Frame own = new Frame(step, mine);
    if (!call.tryLock()) {
      throw fail(Failure.of(rank, "made two calls at once, of which one is " + step));
    }
    try {
      Failure before = failure.get();
      if (before != null) {
        throw before.at(this);
      }
      return gather(own);
    } finally {
      if (failure.get() != null) {
        release();
      }
      call.unlock();
    }
  }

  private double[][] gather(Frame own) {
    double[][] all = new double[size][];
    all[rank] = own.values();
    watch.begin();
    boolean fits = own.bytes() <= mesh.capacity();
    tell(own, all, fits);
    if (!fits) { // nor do those of the others, who are at the same call
      if (!mesh.grow(own.bytes())) {
        throw interrupted(rank, own);
      }
      tell(own, all, true);
    }
    if (!watch.end()) {
      throw interrupted(rank, own);
    }
    return all;
  }

  /** Sends this worker's frame to all, and takes theirs. */
  private void tell(Frame own, double[][] all, boolean withValues) {
    int bytes = own.write(mesh.next());
    for (int i = 1; i < size; i++) {
      int peer = (rank + i) % size; // not all to the same one first
      try {
        mesh.send(peer, bytes);
      } catch (RuntimeException e) {
        throw lost(peer, own, e);
      }
    }
    boolean alike = true;
    for (int peer = 0; peer < size; peer++) {
      if (peer != rank) {
        await(peer, own);
        if (!own.isLike(mesh.frame(peer))) {
          alike = false;
        } else if (withValues) {
          all[peer] = own.valuesIn(mesh.frame(peer));
          mesh.post(peer);
        }
      }
    }
    if (!alike) {
      throw differing();
    }
  }

  private void await(int peer, Frame own) {
    try {
      if (mesh.await(peer)) {
        return;
      }
    } catch (RuntimeException e) {
      throw lost(peer, own, e);
    }
    throw interrupted(peer, own);
  }

  /** The connection to a worker is gone: with its last words, or it has died. */
  private ExchangeException lost(int peer, Frame own, RuntimeException e) {
    Failure told = mesh.told(peer);
    String what = "rank " + peer + " has died: its connection broke at " + own;
    return fail(told == null ? new Failure(peer, what, e) : told);
  }

  /** The time is over, or another thread has ended this, which then has failed already. */
  private ExchangeException interrupted(int peer, Frame own) {
    return fail(Failure.of(peer, "did not come to " + own + " within " + millis + " ms"));
  }

  /** All see the same frames. */
  private ExchangeException differing() {
    List<String> calls =
        IntStream.range(0, size)
            .mapToObj(peer -> Frame.toString(peer == rank ? mesh.own() : mesh.frame(peer)))
            .toList();
    ExchangeException found = ExchangeException.differing(calls);
    return fail(new Failure(found.rank().getAsInt(), found.getMessage(), null));
  }

  /** Fails what has not failed yet, and tells the others. */
  private ExchangeException fail(Failure why) {
    if (failure.compareAndSet(null, why)) {
      mesh.tellAll(why);
      mesh.interrupt();
    }
    return failure.get().at(this);
  }

  /** Where nobody is in a call: others learn by their connections that this has ended. */
  private void release() {
    watch.close();
    mesh.close();
  }

  @Override
  public void close() {
    boolean idle = call.tryLock();
    if (idle && failure.get() == null) {
      mesh.flush();
    }
    if (failure.get() == null) {
      fail(Failure.of(rank, "closed its end"));
    }
    if (!idle) { // but soon
      call.lock();
    }
    try {
      release();
    } finally {
      call.unlock();
    }
  }

  @Override
  public String toString() {
    return "Gloo exchange, rank " + rank + " of " + size;
  }
}
