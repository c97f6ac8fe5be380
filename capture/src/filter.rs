//! The filter that the kernel applies to an interface, in classic BPF (`Documentation/networking/filter.rst`): what
//! is certainly nobody's is not copied to this process. It lets through a little too much rather than too little; the
//! rest is decided on by [`packets`].

use socket2::SockFilter;

/// Frames of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its index.
    pub interface: u32,
    /// Whether what leaves is seen a second time as it comes in.
    pub is_loopback: bool,
    /// Whether frames begin with a header of Ethernet; else with that of IP.
    pub is_ethernet: bool,
    /// Ports of servers; all where there are none.
    pub ports: Vec<u16>,
    /// Ports of tunnels.
    pub tunnels: Vec<u16>,
}

/// More ports than this are left to the process itself.
const PORTS_MAX: usize = 40;

const LD_W: u16 = 0x20;
const LD_H: u16 = 0x28;
const LD_B: u16 = 0x30;
const LD_H_IND: u16 = 0x48;
const LDX_MSH: u16 = 0xb1;
const JEQ: u16 = 0x15;
const JSET: u16 = 0x45;
const JA: u16 = 0x05;
const RET: u16 = 0x06;

/// What the kernel knows of a frame beside its bytes (`SKF_AD_OFF` and what is behind it).
const PKTTYPE: u32 = 0xffff_f004;
const IFINDEX: u32 = 0xffff_f008;
const OUTGOING: u32 = 4;

const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;
const VLANS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
const TCP: u32 = 6;
const UDP: u32 = 17;
const ALL: u32 = 0x0004_0000;

/// An instruction: its code, how far it jumps where it holds and where not, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Op(u16, u8, u8, u32);

/// Lets nothing through.
pub fn nothing() -> Vec<SockFilter> {
    filters(&[Op(RET, 0, 0, 0)])
}

fn filters(program: &[Op]) -> Vec<SockFilter> {
    program.iter().map(|Op(code, yes, no, k)| SockFilter::new(*code, *yes, *no, *k)).collect()
}

/// A jump's target, by name, until it is known where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Next,
    Take,
    Drop,
    V4,
    V6,
    Ports4,
    Ports6,
    Tunnels4,
    Tunnels6,
}

/// An instruction or a place.
#[derive(Clone, Copy, Debug)]
enum Line {
    Do(u16, u32),
    If(u16, u32, To, To),
    Here(To),
}

/// The program for these frames.
pub fn program(wanted: &Wanted) -> Vec<SockFilter> {
    filters(&assembled(&lines(wanted)))
}

fn lines(wanted: &Wanted) -> Vec<Line> {
    use Line::{Do, Here, If};
    let mut lines = vec![Do(LD_W, IFINDEX), If(JEQ, wanted.interface, To::Next, To::Drop)];
    if wanted.is_loopback {
        lines.extend([Do(LD_W, PKTTYPE), If(JEQ, OUTGOING, To::Drop, To::Next)]);
    }
    if !wanted.is_ethernet {
        lines.extend([Here(To::Take), Do(RET, ALL), Here(To::Drop), Do(RET, 0)]);
        return lines;
    }
    lines.push(Do(LD_H, 12));
    // Tags that the card has not taken off.
    lines.extend(VLANS.map(|vlan| If(JEQ, vlan, To::Take, To::Next)));
    lines.extend([If(JEQ, IPV4, To::V4, To::Next), If(JEQ, IPV6, To::V6, To::Drop)]);
    // A fragment that is not the first has no ports.
    lines.extend([Here(To::V4), Do(LD_H, 20), If(JSET, 0x1fff, To::Take, To::Next)]);
    lines.extend([Do(LD_B, 23), If(JEQ, TCP, To::Ports4, To::Next)]);
    lines.push(If(JEQ, UDP, To::Tunnels4, To::Drop));
    // Extension headers are left to the process.
    lines.extend([Here(To::V6), Do(LD_B, 20), If(JEQ, TCP, To::Ports6, To::Next)]);
    lines.push(If(JEQ, UDP, To::Tunnels6, To::Take));
    let (ports, tunnels) = (&wanted.ports, &wanted.tunnels);
    lines.extend(one_of(To::Ports4, ports, true));
    lines.extend(one_of(To::Ports6, ports, false));
    lines.extend(one_of(To::Tunnels4, tunnels, true));
    lines.extend(one_of(To::Tunnels6, tunnels, false));
    lines.extend([Here(To::Take), Do(RET, ALL), Here(To::Drop), Do(RET, 0)]);
    lines
}

/// Whether one of both ports is among these; of TCP none is all of them.
fn one_of(place: To, ports: &[u16], is_v4: bool) -> Vec<Line> {
    use Line::{Do, Here, If};
    let is_any = matches!(place, To::Ports4 | To::Ports6) && ports.is_empty();
    if is_any || ports.len() > PORTS_MAX {
        return vec![Here(place), Do(RET, ALL)];
    }
    let mut lines = vec![Here(place)];
    if is_v4 {
        lines.push(Do(LDX_MSH, 14));
    }
    for at in [0, 2] {
        lines.push(if is_v4 { Do(LD_H_IND, 14 + at) } else { Do(LD_H, 54 + at) });
        lines.extend(ports.iter().map(|port| If(JEQ, u32::from(*port), To::Take, To::Next)));
    }
    lines.push(Do(RET, 0));
    lines
}

/// A jump goes 255 instructions at most; those that go further go by way of one that jumps always.
fn assembled(lines: &[Line]) -> Vec<Op> {
    let mut places = Vec::new();
    let mut at = 0_usize;
    for line in lines {
        match line {
            Line::Here(place) => places.push((*place, at)),
            // Each condition has room for two long jumps behind it.
            Line::If(..) => at += 3,
            Line::Do(..) => at += 1,
        }
    }
    let place = |to: To| places.iter().find(|(place, _)| *place == to).map_or(0, |(_, at)| *at);
    let mut program = Vec::new();
    for line in lines {
        match line {
            Line::Here(_) => {}
            Line::Do(code, k) => program.push(Op(*code, 0, 0, *k)),
            Line::If(code, k, yes, no) => {
                let here = program.len();
                let jump = |to: To, from: usize| {
                    let target = if to == To::Next { here + 3 } else { place(to) };
                    let over = u32::try_from(target - from - 1).unwrap_or(u32::MAX);
                    Op(JA, 0, 0, over)
                };
                program.push(Op(*code, 0, 1, *k));
                program.push(jump(*yes, here + 1));
                program.push(jump(*no, here + 2));
            }
        }
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(ports: &[u16]) -> Wanted {
        let (ports, tunnels) = (ports.to_vec(), vec![4789]);
        Wanted { interface: 3, is_loopback: false, is_ethernet: true, ports, tunnels }
    }

    /// Runs the program on a frame, as the kernel does.
    fn lets_through(wanted: &Wanted, frame: &[u8], kind: u32) -> bool {
        let byte = |at: usize| frame.get(at).copied().map(u32::from);
        let half = |at: usize| Some(byte(at)? << 8 | byte(at + 1)?);
        let program = assembled(&lines(wanted));
        let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
        loop {
            let Op(code, yes, no, k) = program[at];
            at += 1;
            let loaded = match (code, k) {
                (RET, k) => return k != 0,
                (JA, k) => {
                    at += k as usize;
                    continue;
                }
                (JEQ | JSET, k) => {
                    let holds = if code == JEQ { a == k } else { a & k != 0 };
                    at += usize::from(if holds { yes } else { no });
                    continue;
                }
                (LDX_MSH, k) => {
                    x = byte(k as usize).map_or(0, |it| (it & 15) * 4);
                    continue;
                }
                (_, IFINDEX) => Some(3),
                (_, PKTTYPE) => Some(kind),
                (LD_H, k) => half(k as usize),
                (LD_H_IND, k) => half(k as usize + x as usize),
                (_, k) => byte(k as usize),
            };
            // Behind the end of a frame nothing is taken.
            match loaded {
                Some(value) => a = value,
                None => return false,
            }
        }
    }

    fn frame(ethertype: u16, at: &[(usize, u16)], bytes: &[(usize, u8)]) -> Vec<u8> {
        let mut frame = vec![0; 80];
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
        at.iter().for_each(|(at, it)| frame[*at..at + 2].copy_from_slice(&it.to_be_bytes()));
        bytes.iter().for_each(|(at, it)| frame[*at] = *it);
        frame
    }

    #[test]
    fn segments_of_the_ports_tunnels_and_fragments_pass_and_nothing_else() {
        let tcp4 = |port| frame(0x0800, &[(36, port)], &[(14, 0x45), (23, 6)]);
        let from4 = |port| frame(0x0800, &[(34, port)], &[(14, 0x45), (23, 6)]);
        let options4 = frame(0x0800, &[(38, 80)], &[(14, 0x46), (23, 6)]);
        let fragment4 = frame(0x0800, &[(20, 0x00b9)], &[(14, 0x45), (23, 6)]);
        let udp4 = |port| frame(0x0800, &[(36, port)], &[(14, 0x45), (23, 17)]);
        let tcp6 = |port| frame(0x86dd, &[(56, port)], &[(20, 6)]);
        let extended6 = frame(0x86dd, &[], &[(20, 44)]);
        let tagged = |ethertype| frame(ethertype, &[], &[]);
        let arp = frame(0x0806, &[], &[]);
        let web = wanted(&[80, 8080]);
        for (frame, passes) in [
            (tcp4(80), true),
            (tcp4(8080), true),
            (from4(8080), true),
            (tcp4(22), false),
            (options4, true),
            (fragment4, true),
            (udp4(4789), true),
            (udp4(53), false),
            (tcp6(80), true),
            (tcp6(22), false),
            (extended6, true),
            (tagged(0x8100), true),
            (tagged(0x88a8), true),
            (tagged(0x9100), true),
            (arp, false),
        ] {
            assert_eq!(lets_through(&web, &frame, 0), passes, "{frame:02x?}");
        }
        assert!(lets_through(&wanted(&[]), &tcp4(22), 0), "without ports all of them");
        let other = Wanted { interface: 4, ..wanted(&[]) };
        assert!(!lets_through(&other, &tcp4(80), 0), "another interface");
        let bare = Wanted { is_ethernet: false, ..wanted(&[80]) };
        assert!(lets_through(&bare, &[0x45], 0), "without Ethernet all of it");
    }

    #[test]
    fn what_leaves_by_a_loopback_is_not_seen_twice() {
        let frame = frame(0x0800, &[(36, 80)], &[(14, 0x45), (23, 6)]);
        let lo = Wanted { is_loopback: true, ..wanted(&[80]) };
        assert!(lets_through(&lo, &frame, 0));
        assert!(!lets_through(&lo, &frame, OUTGOING));
        assert!(
            lets_through(&wanted(&[80]), &frame, OUTGOING),
            "elsewhere both ways are seen once"
        );
    }

    #[test]
    fn a_program_is_one_that_the_kernel_takes() {
        let many: Vec<u16> = (0..PORTS_MAX as u16).collect();
        for ports in [&[][..], &[80], &many] {
            let program = program(&wanted(ports));
            assert!(program.len() <= 4096);
            let (here, there) = std::os::unix::net::UnixDatagram::pair().unwrap();
            socket2::SockRef::from(&here).attach_filter(&program).unwrap();
            drop(there);
        }
    }
}
