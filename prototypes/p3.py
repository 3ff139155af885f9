from p2 import *
import itertools
def run2(mk,orders,sig,level,floor=0.0,task=task):
    on=[];la=[]
    for o in range(orders):
        rng=np.random.default_rng(100+o); order=rng.permutation(N); L=mk(); got=np.empty(N)
        for t,i in enumerate(order):
            u=L.utility(i); 
            n=L.tab.root[1]
            if level=='cell':
                c=L.tab.m.get(G[i]); nc=c[1] if c is not None else np.zeros(A)
                n=np.minimum(n, nc*4)  # finer evidence
            sd=sig/np.sqrt(n+1)
            a=int(np.argmax(u+sd*rng.normal(size=A)))
            got[t]=task.utilities[i,a]
            L.learn(i,a,task.successes[i,a],0,0)
        on.append(got.mean()); la.append(got[N//2:].mean())
    return f"{np.mean(on):.4f}+-{np.std(on):.4f} / {np.mean(la):.4f}"
class HybO(Hyb):
    """initial optimistic q0 for unvisited"""
    def __init__(s,lr=.3,w=.5,kappa=10,q0=.8,n0=1):
        super().__init__(lr,w,kappa=kappa); s.tab=Tab(kappa,q0,n0); s.tok.B+=np.log(q0/(1-q0))
if __name__=='__main__':
    O=10
    for w in (0,.5,1):
        for sig in (.2,.4,.7):
            print(w,sig,run2(lambda:HybO(.3,w),O,sig,'root'),flush=True)
