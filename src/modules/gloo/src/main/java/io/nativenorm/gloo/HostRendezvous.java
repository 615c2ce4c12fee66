package io.nativenorm.gloo;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Rank 0's. */
final class HostRendezvous implements Rendezvous {
  /** In which a worker that has connected says who it is. */
  private static final int HELLO_MILLIS = 1000;

  private final int size;
  private final long millis;
  private final ServerSocket server;
  private final Socket[] guests;

  /** Where each worker expects each other one. */
  private final byte[][][] addresses;

  HostRendezvous(String host, int port, int size, long millis) {
    this.size = size;
    this.millis = millis;
    guests = new Socket[size];
    addresses = new byte[size][][];
    try {
      server = new ServerSocket();
      server.bind(new InetSocketAddress(host, port), size);
    } catch (IOException e) {
      throw new Failure(0, "rank 0 cannot listen at " + host + ":" + port, e).at(this);
    }
  }

  @Override
  public InetAddress address() {
    return server.getInetAddress();
  }

  @Override
  public int port() {
    return server.getLocalPort();
  }

  @Override
  public byte[][] meet(byte[][] mine) {
    addresses[0] = mine;
    long deadline = System.nanoTime() + millis * 1_000_000;
    @Nullable Failure failure = null;
    try {
      for (int there = 1; there < size && failure == null; ) {
        failure = receive(deadline);
        there = (int) IntStream.range(0, size).filter(this::isThere).count();
      }
    } catch (SocketTimeoutException e) {
      failure = late();
    } catch (IOException e) {
      failure = new Failure(0, "rank 0 can listen no more", e);
    }
    for (int rank = 1; rank < size; rank++) {
      if (isThere(rank)) {
        tell(guests[rank], failure, failure == null ? whereExpected(rank) : new byte[0][]);
      }
    }
    if (failure != null) {
      throw failure.at(this);
    }
    return whereExpected(0);
  }

  private boolean isThere(int rank) {
    return addresses[rank] != null;
  }

  /** Takes what comes next; returns what is wrong with it. */
  private @Nullable Failure receive(long deadline) throws IOException {
    long left = (deadline - System.nanoTime()) / 1_000_000;
    if (left <= 0) {
      throw new SocketTimeoutException();
    }
    server.setSoTimeout(Math.toIntExact(left));
    Socket guest = server.accept();
    try {
      guest.setSoTimeout(HELLO_MILLIS);
      DataInputStream from = new DataInputStream(guest.getInputStream());
      int word = from.readInt();
      int rank = from.readInt();
      int workers = from.readInt();
      if (word != WORKER || rank < 1 || rank >= workers) {
        throw new IOException("somebody else came");
      }
      Failure wrong = wrong(rank, workers);
      if (wrong != null) {
        tell(guest, wrong);
        Rendezvous.close(guest);
        return wrong;
      }
      addresses[rank] = Rendezvous.read(size, from);
      guests[rank] = guest;
    } catch (IOException e) {
      Rendezvous.close(guest); // of who looks for ports, or a worker that died: that one is missing
    }
    return null;
  }

  private @Nullable Failure wrong(int rank, int workers) {
    if (workers != size) {
      return Failure.of(rank, "came as one of " + workers + " workers, rank 0 as one of " + size);
    }
    return isThere(rank) ? Failure.of(rank, "is there twice") : null;
  }

  private Failure late() {
    int[] missing = IntStream.range(0, size).filter(rank -> !isThere(rank)).toArray();
    String names =
        IntStream.of(missing).mapToObj(rank -> "rank " + rank).collect(Collectors.joining(", "));
    return new Failure(missing[0], names + " did not come within " + millis + " ms", null);
  }

  /** Tells a worker what failed, or else where the others expect it. */
  private void tell(Socket guest, @Nullable Failure failure, byte[]... expected) {
    try {
      DataOutputStream to = new DataOutputStream(new BufferedOutputStream(guest.getOutputStream()));
      to.writeBoolean(failure == null);
      if (failure == null) {
        Rendezvous.write(expected, to);
      } else {
        to.writeInt(failure.rank());
        to.writeUTF(failure.message());
      }
      to.flush();
    } catch (IOException died) {
      return; // the connections to it will say so
    }
  }

  private byte[][] whereExpected(int rank) {
    byte[][] expected = new byte[size][];
    for (int peer = 0; peer < size; peer++) {
      expected[peer] = addresses[peer][rank];
    }
    return expected;
  }

  @Override
  public void close() {
    for (Socket guest : guests) {
      if (guest != null) {
        Rendezvous.close(guest);
      }
    }
    Rendezvous.close(server);
  }

  @Override
  public String toString() {
    return "Gloo exchange, rank 0 of " + size;
  }
}
